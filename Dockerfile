# The gateway alone with what it needs: no shell, no package manager, no root.
#
#   docker build --build-arg SOURCE_REVISION="$(git rev-parse HEAD)" -t face-liveness-gateway .
#   docker run -p 50051:50051 -v "$PWD/gateway:/etc/gateway:ro" \
#     -e FACE_LIVENESS_CONFIG=/etc/gateway/gateway.toml face-liveness-gateway
#
# deploy/try-image builds and tries it where there is no container engine. For that, RUN steps
# write below their WORKDIR only.

FROM rust:1.95.0-bookworm AS chef
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
RUN cargo install cargo-chef --version 0.1.78 --locked
WORKDIR /build

# What the dependencies are, apart from the code.
FROM chef AS plan
COPY . .
RUN cargo chef prepare --recipe-path recipe.json

FROM chef AS build
ARG PROFILE=release
# The dependencies: cached until Cargo.lock or a manifest changes.
COPY --from=plan /build/recipe.json recipe.json
RUN cargo chef cook --locked --profile "$PROFILE" --package face-liveness-gateway
COPY . .
# After the dependencies, which every revision would build anew otherwise.
ARG SOURCE_REVISION=
RUN cargo build --locked --profile "$PROFILE" --package face-liveness-gateway
# The loader and the libraries, where the loader looks for them. Nothing else of glibc: since 2.34
# the resolver is in libc itself.
RUN mkdir -p root/etc/ssl/certs \
    && cp target/*/face-liveness-gateway root/ \
    && cp /etc/ssl/certs/ca-certificates.crt root/etc/ssl/certs/ \
    && ldd root/face-liveness-gateway | grep -o '/[^ ]*' | xargs cp --parents --dereference --target-directory root

FROM scratch
ARG SOURCE_REVISION=
LABEL org.opencontainers.image.title="face-liveness-gateway" \
    org.opencontainers.image.description="A gRPC gateway to Amazon Rekognition's CreateFaceLivenessSession" \
    org.opencontainers.image.licenses="MIT OR Apache-2.0" \
    org.opencontainers.image.revision="$SOURCE_REVISION"
COPY --from=build /build/root/ /
# By number, so that Kubernetes can see that it is not root.
USER 65532:65532
EXPOSE 50051
STOPSIGNAL SIGTERM
# Both the gateway and this read the variables, should another port or TLS be wanted. Where client
# certificates are required, this needs --certificate and --key.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s CMD ["/face-liveness-gateway", "healthcheck"]
ENTRYPOINT ["/face-liveness-gateway"]
CMD ["serve"]
