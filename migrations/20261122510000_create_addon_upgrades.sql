alter table addons
    add column volume text;

comment on column addons.volume is 'What its volume is called. Null: after its id, as it was made.';

create table addon_upgrades (
    addon uuid primary key references addons (id) on delete cascade,
    version text not null,
    is_dry_run boolean not null,
    state text not null,
    words text not null,
    is_cancelled boolean not null default false,
    begun_by uuid not null references accounts (id),
    begun_at timestamptz not null,
    ended_at timestamptz,
    constraint addon_upgrades_state check (state in ('trying', 'moving', 'starting', 'succeeded', 'failed', 'cancelled')),
    constraint addon_upgrades_ended check ((state in ('trying', 'moving', 'starting')) = (ended_at is null))
);

comment on table addon_upgrades is 'The last way of each add-on to another version of its server.';
comment on column addon_upgrades.state is 'Moving: no server of its own is on its volume. Starting: it has another volume, and its new server has never answered.';
comment on column addon_upgrades.is_cancelled is 'Whoever is at it is to stop, and to say so here.';
comment on column addon_upgrades.words is 'What goes on, or what came of it, for people.';

create table addon_volumes (
    name text primary key,
    addon uuid not null references addons (id),
    version text not null,
    bytes bigint,
    kept_until timestamptz not null
);

create index addon_volumes_addon on addon_volumes (addon);

comment on table addon_volumes is 'Volumes that add-ons had before an upgrade. A row goes after its volume, and an add-on after both.';
comment on column addon_volumes.version is 'Of the server that wrote it.';
comment on column addon_volumes.bytes is 'What it took when its server was last looked at.';
