alter table addons
    add column disk_bytes bigint;

comment on column addons.disk_bytes is 'What its volume took when somebody looked last.';
