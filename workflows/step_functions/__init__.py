"""As a Step Functions task: the same stages on AWS's own engine: `handler` is the function, `machine` the ASL."""
