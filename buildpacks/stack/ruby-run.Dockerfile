# Ruby and Bundler as Debian has them, where dynos of Ruby apps start from.
ARG IMAGE
FROM ${IMAGE}
USER root
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends bundler ruby \
 && apt-get clean \
 && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/* /usr/share/doc/* /usr/share/man/*
USER dyno
