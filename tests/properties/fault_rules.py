"""Sets of faults for whoever wants everything to go wrong that can; as the simulator takes them."""

REGIONS = ("us-east-1", "eu-west-1", "ap-southeast-2", "sa-east-1")

RULES: dict[str, list[dict[str, object]]] = {
    "lost replies": [{"operation": "ImportKeyMaterial", "region": r, "times": 1, "drop": "after"} for r in REGIONS],
    "refused tokens": [
        {"operation": "ImportKeyMaterial", "region": r, "times": 2, "error": "InvalidImportTokenException"}
        for r in REGIONS
    ],
    "wrong bytes": [
        {"operation": "ImportKeyMaterial", "region": r, "times": 1, "error": "IncorrectKeyMaterialException"}
        for r in REGIONS
    ],
    "unreadable blobs": [{"operation": "ImportKeyMaterial", "times": 1, "error": "InvalidCiphertextException"}],
    "a limit": [{"operation": "RotateKeyOnDemand", "times": 1, "error": "LimitExceededException"}],
    "denied": [{"operation": "Decrypt", "times": 3, "error": "AccessDeniedException"}],
    "throttled everywhere": [{"times": 20, "error": "ThrottlingException"}],
    "expired credentials": [{"calls": [30, 31, 32, 33, 34], "error": "ExpiredTokenException"}],
}
