alter table apps add column buildpacks text[] not null default '{}';

alter table builds add column buildpacks text[] not null default '{}';
alter table builds add column source_url text;
alter table builds add column source_checksum text;

comment on column apps.buildpacks is 'Which buildpacks build it, in order; none: whichever recognises it.';
comment on column builds.buildpacks is 'Which buildpacks it was told to use; none: whichever recognised the app.';
comment on column builds.source_url is 'Where an API client said that the source is; a push has none.';
comment on column builds.source_checksum is 'What the client said its SHA-256 is.';
