create table oauth_grants (
    id uuid primary key,
    client uuid not null references oauth_clients (id) on delete cascade,
    browser_hash bytea not null,
    scope text[] not null,
    state text,
    code_challenge text,
    address text not null,
    account uuid references accounts (id) on delete cascade,
    is_known boolean not null default false,
    code_hash bytea,
    "authorization" uuid references authorizations (id) on delete set null,
    used_at timestamptz,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    constraint oauth_grants_browser_hash_unique unique (browser_hash),
    constraint oauth_grants_code_hash_unique unique (code_hash),
    constraint oauth_grants_known check (not is_known or account is not null),
    constraint oauth_grants_code check (code_hash is null or is_known),
    constraint oauth_grants_used check (used_at is null or code_hash is not null)
);

create index oauth_grants_expires_at on oauth_grants (expires_at);

comment on table oauth_grants is 'What people are asked to allow to OAuth clients, and what they have allowed, until the client has its token.';
comment on column oauth_grants.browser_hash is 'SHA-256 of what the page''s address holds.';
comment on column oauth_grants.state is 'Given back to the client as it came.';
comment on column oauth_grants.code_challenge is 'SHA-256 of what the client will show with the code, in base64url (RFC 7636); null: it did not ask for that.';
comment on column oauth_grants.address is 'Where the page was asked for.';
comment on column oauth_grants.account is 'Whose password was right; may still owe a second factor.';
comment on column oauth_grants.is_known is 'Nothing more is owed but an answer.';
comment on column oauth_grants.code_hash is 'SHA-256 of the code that the client got when the person allowed it.';
comment on column oauth_grants."authorization" is 'What the code was used for; a code that comes again ends it (RFC 6749 section 4.1.2).';

alter table authorizations
    add column refresh_hash bytea,
    add constraint authorizations_refresh_hash_unique unique (refresh_hash);

comment on column authorizations.refresh_hash is 'SHA-256 of what its client gets another token with; such an authorization does not end with its token.';
