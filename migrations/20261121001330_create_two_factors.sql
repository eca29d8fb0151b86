create table two_factors (
    account uuid primary key references accounts (id) on delete cascade,
    secret bytea not null,
    last_step bigint not null,
    confirmed_at timestamptz,
    created_at timestamptz not null
);

create table recovery_codes (
    account uuid not null references accounts (id) on delete cascade,
    code_hash bytea not null,
    primary key (account, code_hash),
    constraint recovery_codes_hash_length check (octet_length(code_hash) = 32)
);

comment on table two_factors is 'Second factors: secrets shared with authenticator apps (RFC 6238).';
comment on column two_factors.secret is 'Sealed with the id of the account.';
comment on column two_factors.last_step is 'The time step of the last code that was accepted: none is good twice.';
comment on column two_factors.confirmed_at is 'When a first code proved that the app has the secret; null: not asked for yet.';
comment on table recovery_codes is 'What stands in for a lost authenticator, each once. Only hashes.';
