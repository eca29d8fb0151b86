create table addons (
    id uuid primary key,
    app uuid not null references apps (id),
    name text not null,
    service text not null,
    plan text not null,
    state text not null,
    suffixes text[] not null,
    secret bytea not null,
    config bytea,
    image text,
    version text not null,
    generation integer not null default 1,
    is_rotating boolean not null default false,
    failures integer not null default 0,
    retry_at timestamptz,
    trouble text,
    created_by uuid not null references accounts (id),
    leased_by uuid,
    leased_until timestamptz,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint addons_name_unique unique (name),
    constraint addons_state check (state in ('provisioning', 'provisioned', 'deprovisioning')),
    constraint addons_provisioned_with_config check (state <> 'provisioned' or config is not null)
);

create index addons_app on addons (app);

comment on table addons is 'Servers that apps use. Each has a volume named after its id, which goes with its row and never before.';
comment on column addons.app is 'Whose it is. The app cannot be deleted before.';
comment on column addons.suffixes is 'What the config vars of its attachments end in: URL makes DATABASE_URL.';
comment on column addons.secret is 'User, password and database, sealed; bound to the id of this row.';
comment on column addons.config is 'Values of the config vars by suffix, sealed. Null until it was provisioned.';
comment on column addons.image is 'What its container starts from; kept, so that an upgrade of the platform is none of the data. Null until it was made.';
comment on column addons.version is 'Of the server, as its service says.';
comment on column addons.generation is 'A container of another generation is replaced.';
comment on column addons.is_rotating is 'The secret is new: the server has to learn it, then the apps.';
comment on column addons.trouble is 'Why it does not run, for people.';

create table addon_attachments (
    id uuid primary key,
    addon uuid not null references addons (id) on delete cascade,
    app uuid not null references apps (id) on delete cascade,
    name text not null,
    namespace text,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint addon_attachments_name_unique unique (app, name)
);

create index addon_attachments_addon on addon_attachments (addon);

comment on table addon_attachments is 'Which apps use an add-on, and what its config vars are called there.';
comment on column addon_attachments.namespace is 'A part of the add-on, such as credential:reader.';

alter table releases
    add column addon_keys text[] not null default '{}',
    add column addon_plans text[] not null default '{}';

comment on column releases.addon_keys is 'Which of its config vars came from add-ons: a later release has what the add-ons say then.';
comment on column releases.addon_plans is 'The plans of the add-ons that the app had.';

create trigger addons_notify after insert or update of state, generation, is_rotating, retry_at or delete on addons
    for each row execute function notify_wanted();
create trigger addon_attachments_notify after insert or update or delete on addon_attachments
    for each row execute function notify_wanted();
