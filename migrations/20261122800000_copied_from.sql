-- A copy comes from an add-on, and what is put back from a backup: two columns.
alter table addon_backups add column copied_from uuid;
update addon_backups set copied_from = source, source = null where kind = 'copy';
alter table addon_backups
    add constraint addon_backups_copied_from check ((kind = 'copy') = (copied_from is not null));

comment on column addon_backups.source is 'The backup that was put back.';
comment on column addon_backups.copied_from is 'The add-on that was copied into this one.';
