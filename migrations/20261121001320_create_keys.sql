create table keys (
    id uuid primary key,
    account uuid not null references accounts (id) on delete cascade,
    public_key text not null,
    comment text not null,
    fingerprint text not null,
    sha256 text not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint keys_sha256_unique unique (sha256)
);

create index keys_account on keys (account);

comment on table keys is 'Public SSH keys. One key is one person.';
comment on column keys.public_key is 'As it was uploaded: algorithm, base64, comment.';
comment on column keys.fingerprint is 'MD5 in colons, as Heroku shows it.';
comment on column keys.sha256 is 'SHA256:base64, as ssh-keygen shows it.';
