alter table addon_backups
    drop constraint addon_backups_kind,
    add constraint addon_backups_kind check (kind in ('manual', 'scheduled', 'before restore', 'last', 'restore', 'copy'));

comment on column addon_backups.source is 'The backup that was put back, or the add-on that was copied.';
