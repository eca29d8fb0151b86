create table addon_archives (
    addon uuid primary key references addons (id) on delete cascade,
    alarm text not null,
    alarmed_at timestamptz not null
);

comment on table addon_archives is 'Add-ons whose log is not archived as it should be. What is archived are files, whose names say all there is to say.';
comment on column addon_archives.alarm is 'What is wrong, for people.';

create table addon_rollbacks (
    addon uuid primary key references addons (id) on delete cascade,
    source uuid not null,
    source_name text not null,
    moment timestamptz not null,
    filled_at timestamptz
);

comment on table addon_rollbacks is 'Add-ons that begin with what another one held at a moment.';
comment on column addon_rollbacks.source is 'No reference: it may be gone by now.';
comment on column addon_rollbacks.filled_at is 'When all of it was on the volume. Null: no server is started before.';
