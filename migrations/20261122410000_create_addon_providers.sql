create table addon_providers (
    id uuid primary key,
    name text not null,
    manifest jsonb not null,
    secret bytea not null,
    created_by uuid not null references accounts (id),
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint addon_providers_name_unique unique (name)
);

comment on table addon_providers is 'Services that run elsewhere, behind Heroku''s Add-on Partner API.';
comment on column addon_providers.name is 'The id of the manifest: what addons:create is told.';
comment on column addon_providers.manifest is 'As it was given, without the secrets in it.';
comment on column addon_providers.secret is 'Password, salt of the single sign-on and client secret, sealed; bound to the id of this row.';

create table addon_resources (
    addon uuid primary key references addons (id) on delete cascade,
    provider uuid not null references addon_providers (id),
    plan text not null,
    accepted_at timestamptz,
    message text,
    code bytea,
    code_hash bytea,
    code_expires_at timestamptz,
    token_hash bytea,
    token_expires_at timestamptz,
    refresh_hash bytea,
    created_at timestamptz not null,
    constraint addon_resources_code_unique unique (code_hash),
    constraint addon_resources_token_unique unique (token_hash),
    constraint addon_resources_refresh_unique unique (refresh_hash)
);

create index addon_resources_provider on addon_resources (provider);

comment on table addon_resources is 'Add-ons whose server is a provider''s: what it was told of them, and what it said.';
comment on column addon_resources.plan is 'The plan that the provider knows of.';
comment on column addon_resources.accepted_at is 'When it said that it is at work on it. Null until it has answered.';
comment on column addon_resources.code is 'The code that it gets its tokens for, once; sealed, because the same one is sent until then.';
comment on column addon_resources.code_hash is 'What that code is found by.';

alter table addons add column options bytea;

comment on column addons.options is 'What the provider is told of it besides the plan, sealed: there may be secrets among it.';
