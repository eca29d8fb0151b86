create table addon_alarms (
    addon uuid not null references addons (id) on delete cascade,
    subject text not null,
    alarm text not null,
    primary key (addon, subject),
    constraint addon_alarms_subject check (subject in ('archive', 'bucket'))
);

comment on table addon_alarms is 'What is not as it should be about an add-on, and somebody was told of.';
comment on column addon_alarms.subject is 'Its log is not archived, or its backups do not get to the bucket.';
comment on column addon_alarms.alarm is 'What is wrong, for people.';
