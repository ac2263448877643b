"""The channel to the gateway."""

import argparse
from pathlib import Path

import grpc


def connect(flags: argparse.Namespace) -> grpc.Channel:
    options = [("grpc.service_config", flags.service_config.read_text())]
    if not flags.ca:
        if flags.token_file:
            raise ValueError("--token-file needs --ca: a token is not sent in plaintext")
        return grpc.insecure_channel(flags.address, options)
    credentials = grpc.ssl_channel_credentials(
        root_certificates=flags.ca.read_bytes(),
        private_key=flags.key.read_bytes() if flags.key else None,
        certificate_chain=flags.cert.read_bytes() if flags.cert else None,
    )
    if flags.token_file:
        token = grpc.metadata_call_credentials(BearerToken(flags.token_file))
        credentials = grpc.composite_channel_credentials(credentials, token)
    return grpc.secure_channel(flags.address, credentials, options)


class BearerToken(grpc.AuthMetadataPlugin):
    """Read for every call: a token in a mounted file changes while the program runs."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __call__(
        self, context: grpc.AuthMetadataContext, callback: grpc.AuthMetadataPluginCallback
    ) -> None:
        callback((("authorization", f"Bearer {self._file.read_text().strip()}"),), None)
