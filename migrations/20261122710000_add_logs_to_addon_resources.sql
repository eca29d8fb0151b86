alter table addon_resources add column log_input bytea;
alter table addon_resources add column log_input_hash bytea;
alter table addon_resources add column drain_token text;
alter table addon_resources add constraint addon_resources_log_input_unique unique (log_input_hash);
alter table addon_resources add constraint addon_resources_drain_token_unique unique (drain_token);

comment on column addon_resources.log_input is 'What the provider writes into the app''s log with, sealed: the same one is sent each time.';
comment on column addon_resources.log_input_hash is 'What that is found by.';
comment on column addon_resources.drain_token is 'What the provider knows the drain by that it may make.';

alter table log_drains add column addon uuid references addons (id) on delete cascade;

create unique index log_drains_addon on log_drains (addon);

comment on column log_drains.addon is 'The add-on that it belongs to, and goes with; null for those of people.';
