# rustup, and one stable toolchain for apps that ask for no other.
ARG IMAGE
FROM ${IMAGE}
USER root
ARG RUST_VERSION=1.99.1
ARG RUSTUP_VERSION=1.28.2
RUN place=https://static.rust-lang.org/rustup/archive/${RUSTUP_VERSION}/$(uname -m)-unknown-linux-gnu \
 && curl -fsSL --retry 3 "$place/rustup-init" -o /tmp/rustup-init \
 && echo "$(curl -fsSL --retry 3 "$place/rustup-init.sha256" | cut -d ' ' -f 1)  /tmp/rustup-init" | sha256sum -c - \
 && chmod 755 /tmp/rustup-init \
 && CARGO_HOME=/opt/rust RUSTUP_HOME=/opt/rustup /tmp/rustup-init -y --no-modify-path --profile minimal \
      --default-toolchain "$RUST_VERSION" \
 && rm -rf /tmp/rustup-init /opt/rustup/downloads /opt/rustup/tmp
USER dyno
