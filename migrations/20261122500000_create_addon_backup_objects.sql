create table addon_backup_objects (
    backup uuid not null,
    bucket text not null,
    addon uuid not null,
    server uuid not null,
    key text not null,
    upload text,
    wanted_at timestamptz not null,
    stored_at timestamptz,
    seen_at timestamptz,
    failures integer not null default 0,
    troubled_at timestamptz,
    trouble text,
    is_refused boolean not null default false,
    primary key (backup, bucket),
    constraint addon_backup_objects_seen check ((seen_at is null) = (stored_at is null)),
    constraint addon_backup_objects_trouble check ((troubled_at is null) = (trouble is null))
);

create index addon_backup_objects_bucket on addon_backup_objects (bucket, server);

comment on table addon_backup_objects is 'Backups in a bucket, or on their way there. A row outlives its backup until the object is gone, too.';
comment on column addon_backup_objects.backup is 'No reference: what is in the bucket without a backup is to be removed.';
comment on column addon_backup_objects.bucket is 'Its address. What is in a bucket that was set before stays there, and its rows.';
comment on column addon_backup_objects.server is 'Who has the file.';
comment on column addon_backup_objects.upload is 'What the bucket calls an upload that is under way: the next start carries it on.';
comment on column addon_backup_objects.stored_at is 'When all of it was there.';
comment on column addon_backup_objects.seen_at is 'When somebody last looked whether it is there.';
comment on column addon_backup_objects.failures is 'In a row.';
comment on column addon_backup_objects.troubled_at is 'Since when it has not worked.';
comment on column addon_backup_objects.trouble is 'Why, for people.';
comment on column addon_backup_objects.is_refused is 'Somebody has to change something before it can work.';
