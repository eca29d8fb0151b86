# The Java compiler and Maven, for apps without a wrapper of their own.
ARG IMAGE
FROM ${IMAGE}
USER root
# Debian's Java expects the folder for its manual pages.
RUN mkdir -p /usr/share/man/man1 \
 && apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends maven openjdk-17-jdk-headless \
 && apt-get clean \
 && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/* /usr/share/doc/* /usr/share/man/*
USER dyno
