alter table addon_backups
    add column team uuid;

-- Apps may have changed hands since their backups were made.
update addon_backups
set owner = apps.owner, team = apps.team
from apps
where apps.id = addon_backups.app;

comment on column addon_backups.owner is 'Who owned the app: whoever may use what is left of it when the app is gone. Null: a team did.';
comment on column addon_backups.team is 'The team that owned the app: its admins may use what is left of it. No reference: it may be gone.';
