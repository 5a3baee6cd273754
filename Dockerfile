# Two images: `docker build -t ratdata .` computes on the CPU, `--target cuda` on NVIDIA GPUs, too.
# docs/releasing.md says how they are built and run.

FROM rust:1.95-bookworm AS source
WORKDIR /build
COPY . .
RUN cargo fetch --locked

FROM source AS build-cpu
RUN cargo build --locked --profile dist -p ratdata -p ratdata-train

# NVIDIA's compiler library and headers; the driver itself comes with the machine.
FROM nvidia/cuda:13.0.1-devel-ubuntu24.04 AS build-cuda
ENV CARGO_HOME=/usr/local/cargo RUSTUP_HOME=/usr/local/rustup PATH=/usr/local/cargo/bin:$PATH
COPY --from=source /usr/local/cargo /usr/local/cargo
COPY --from=source /usr/local/rustup /usr/local/rustup
COPY --from=source /build /build
WORKDIR /build
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends build-essential \
    && rm -rf /var/lib/apt/lists/*
RUN cargo build --locked --profile dist -p ratdata \
    && cargo build --locked --profile dist -p ratdata-train --features cuda

FROM nvidia/cuda:13.0.1-runtime-ubuntu24.04 AS cuda
RUN useradd --system --create-home --uid 10001 ratdata
COPY --from=build-cuda /build/target/dist/ratdata /build/target/dist/ratdata-train /usr/local/bin/
USER 10001
WORKDIR /data
ENTRYPOINT ["ratdata"]

FROM debian:bookworm-slim AS cpu
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --create-home --uid 10001 ratdata
COPY --from=build-cpu /build/target/dist/ratdata /build/target/dist/ratdata-train /usr/local/bin/
USER 10001
WORKDIR /data
ENTRYPOINT ["ratdata"]
