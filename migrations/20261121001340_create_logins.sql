create table logins (
    id uuid primary key,
    browser_hash bytea not null,
    command_hash bytea not null,
    description text not null,
    address text not null,
    account uuid references accounts (id) on delete cascade,
    approved_at timestamptz,
    collected_at timestamptz,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    constraint logins_browser_hash_unique unique (browser_hash),
    constraint logins_command_hash_unique unique (command_hash),
    constraint logins_approved check (approved_at is null or account is not null),
    constraint logins_collected check (collected_at is null or approved_at is not null)
);

create index logins_expires_at on logins (expires_at);

comment on table logins is 'Logins that a command began and a browser finishes.';
comment on column logins.browser_hash is 'SHA-256 of what the page''s address holds.';
comment on column logins.command_hash is 'SHA-256 of what the waiting command holds.';
comment on column logins.address is 'Where the command asked from, to be shown on the page.';
comment on column logins.account is 'Whose password was right; may still owe a second factor.';
