create table accounts (
    id uuid primary key,
    email text not null,
    password_hash text not null,
    created_at timestamptz not null,
    updated_at timestamptz not null
);

create unique index accounts_email_unique on accounts (lower(email));

comment on table accounts is 'People who can sign in.';
comment on column accounts.password_hash is 'PHC string.';

create table authorizations (
    id uuid primary key,
    account uuid not null references accounts (id) on delete cascade,
    token_hash bytea not null,
    description text not null,
    scope text[] not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    expires_at timestamptz,
    last_used_at timestamptz,
    constraint authorizations_token_hash_unique unique (token_hash),
    constraint authorizations_token_hash_length check (octet_length(token_hash) = 32)
);

create index authorizations_account on authorizations (account);

comment on table authorizations is 'Tokens that act for an account.';
comment on column authorizations.token_hash is 'SHA-256 of the token. The token itself is never stored.';
comment on column authorizations.expires_at is 'Null: never.';
comment on column authorizations.last_used_at is 'Kept to the minute.';
