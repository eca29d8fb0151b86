create table addon_forks (
    addon uuid primary key references addons (id) on delete cascade,
    source uuid not null,
    source_name text not null,
    filled_at timestamptz
);

comment on table addon_forks is 'Add-ons that begin with what another one holds when they are made.';
comment on column addon_forks.source is 'No reference: it may be gone by now.';
comment on column addon_forks.filled_at is 'When all of it was there. Null: no app gets the address before.';
