"""Data in an S3 store, with the keys of a Secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from refit_trainer.errors import RefusedError, UnreachableError

_ABSENT = {"NoSuchKey", "NoSuchBucket", "404"}
_NOT_ALLOWED = {
    "AccessDenied",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "AllAccessDisabled",
    "403",
}

_REFUSALS = set(range(400, 500)) - {408, 429}


def get_object(bucket: str, key: str, secret: Mapping[str, str], size_limit: int) -> bytes:
    """The object's bytes; AWS_* and AWS_ENDPOINT_URL are read from `secret`."""
    from botocore.exceptions import (  # noqa: PLC0415 - a second of import for those who read s3
        BotoCoreError,
        ClientError,
        NoCredentialsError,
    )

    address = f"s3://{bucket}/{key}"
    try:
        answer = _client(secret).get_object(Bucket=bucket, Key=key)
        if answer["ContentLength"] > size_limit:
            raise RefusedError(
                "SourceTooLarge", f"{address} has {answer['ContentLength']} bytes, the limit is {size_limit}"
            )
        return bytes(answer["Body"].read())
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if code in _ABSENT:
            raise RefusedError("SourceNotFound", f"{address}: {code}") from error
        if code in _NOT_ALLOWED:
            raise RefusedError(
                "SourceForbidden",
                f"{address}: {code}; data.source.secretRef must name a Secret with AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY that may read it",
            ) from error
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        if status in _REFUSALS:
            raise RefusedError("SourceRefused", f"{address}: {code or status}") from error
        raise UnreachableError(f"{address}: {code or error}") from error
    except NoCredentialsError as error:
        raise RefusedError(
            "SourceForbidden",
            f"{address}: no credentials; data.source.secretRef must name a Secret with AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY",
        ) from error
    except BotoCoreError as error:
        raise UnreachableError(f"{address}: {error}") from error


def _client(secret: Mapping[str, str]) -> Any:
    import boto3  # noqa: PLC0415 - see above
    from botocore.config import Config  # noqa: PLC0415 - see above

    endpoint = secret.get("AWS_ENDPOINT_URL_S3") or secret.get("AWS_ENDPOINT_URL")
    return boto3.client(
        "s3",
        endpoint_url=endpoint or None,
        region_name=secret.get("AWS_REGION") or secret.get("AWS_DEFAULT_REGION") or "us-east-1",
        aws_access_key_id=secret.get("AWS_ACCESS_KEY_ID"),
        aws_secret_access_key=secret.get("AWS_SECRET_ACCESS_KEY"),
        aws_session_token=secret.get("AWS_SESSION_TOKEN"),
        config=Config(
            retries={"total_max_attempts": 4, "mode": "standard"},
            connect_timeout=10,
            read_timeout=60,
            # Stores of one's own rarely have a DNS name for every bucket.
            s3={"addressing_style": "path" if endpoint else "auto"},
        ),
    )
