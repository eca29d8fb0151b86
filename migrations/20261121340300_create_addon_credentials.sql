create table addon_credentials (
    id uuid primary key,
    addon uuid not null references addons (id) on delete cascade,
    name text not null,
    state text not null,
    secret bytea not null,
    config bytea,
    created_by uuid not null references accounts (id),
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint addon_credentials_name_unique unique (addon, name),
    constraint addon_credentials_state check (state in ('provisioning', 'active', 'rotating', 'revoking')),
    constraint addon_credentials_active_with_config check (state <> 'active' or config is not null)
);

comment on table addon_credentials is 'Users of an add-on''s server besides its own, with rights that people grant them there.';
comment on column addon_credentials.state is 'All but active: the server has to learn of it, or to forget it.';
comment on column addon_credentials.secret is 'User and password, sealed; bound to the id of this row.';
comment on column addon_credentials.config is 'Values of the config vars by suffix, sealed. Null until the server knew it.';

alter table addons
    add column settings jsonb not null default '{}',
    add column is_configured boolean not null default true;

comment on column addons.settings is 'What people have chosen of what its service lets them choose, such as timeout.';
comment on column addons.is_configured is 'Whether its server has what was chosen.';
