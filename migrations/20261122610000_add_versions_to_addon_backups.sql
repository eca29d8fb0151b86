alter table addon_backups
    add column version text;

-- No add-on has changed its version before there were upgrades.
update addon_backups
set version = addons.version
from addons
where addons.id = addon_backups.addon
    and not exists (select from addon_upgrades where addon_upgrades.addon = addons.id);

comment on column addon_backups.version is 'Of the server that wrote it: an older one does not read it. Null: nobody knows.';
