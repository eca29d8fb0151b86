# What builds of Ruby apps run in besides: headers for gems in C, and Bundler.
ARG IMAGE
FROM ${IMAGE}
USER root
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends bundler ruby ruby-dev \
 && apt-get clean \
 && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/* /usr/share/doc/* /usr/share/man/*
USER dyno
