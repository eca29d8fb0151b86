# Java without a screen, where dynos of Java apps start from.
ARG IMAGE
FROM ${IMAGE}
USER root
# Debian's Java expects the folder for its manual pages.
RUN mkdir -p /usr/share/man/man1 \
 && apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends openjdk-17-jre-headless \
 && apt-get clean \
 && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/* /usr/share/doc/* /usr/share/man/*
USER dyno
