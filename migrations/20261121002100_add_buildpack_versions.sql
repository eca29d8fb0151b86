alter table builds add column buildpack_versions text[] not null default '{}';

comment on column builds.buildpacks is 'Which buildpacks it was told to use, or which one recognised the app.';
comment on column builds.buildpack_versions is 'The commit, or the hash of the archive, of each buildpack; empty for those of the platform.';
