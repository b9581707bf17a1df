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

ENVIRONMENT = {
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI7K7MDENGObPxRfiCYzzEXAMPLEK",
    "AWS_SESSION_TOKEN": "IQoJb3JpZ2luX2Vj" + "aB3dE5fG7h+/" * 20,
    "AWS_CONTAINER_AUTHORIZATION_TOKEN": "Basic c2VjcmV0IG9mIHRoZSBjb250YWluZXI",
    "HTTPS_PROXY": "http://me:aWordThatOpensTheProxy@127.0.0.1:9",
    "DB_PASSWORD": "entirelyOtherOnesForTheDatabase",
}
"""Secrets of many kinds, which no process may write anywhere."""


def quoting(rules: list[dict[str, object]]) -> list[dict[str, object]]:
    """Have every error of KMS quote the secrets of whoever asked, as AWS's refusals of a signature do."""
    quoted = f"should have been x-amz-security-token:{ENVIRONMENT['AWS_SESSION_TOKEN']}"
    return [rule | ({"message": f"{quoted} {ENVIRONMENT!r}"[-290:]} if "error" in rule else {}) for rule in rules]
