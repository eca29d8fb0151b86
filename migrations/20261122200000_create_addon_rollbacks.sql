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
