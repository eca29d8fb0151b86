-- Each pass of the controllers asks for the target of each app: without this, Postgres looks at all releases that have a slug.
create index releases_target on releases (app, version desc) where status = 'succeeded' and slug is not null;
