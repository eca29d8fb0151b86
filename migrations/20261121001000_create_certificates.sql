create table certificates (
    id uuid primary key,
    app uuid references apps (id) on delete cascade,
    name text,
    source text not null,
    hostnames text[] not null,
    chain_pem text not null,
    key bytea not null,
    not_before timestamptz not null,
    not_after timestamptz not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint certificates_source check (source in ('uploaded', 'acme', 'local')),
    constraint certificates_hostnames_some check (cardinality(hostnames) > 0),
    constraint certificates_name_of_uploaded check ((name is not null) = (source = 'uploaded')),
    constraint certificates_app_of_uploaded check ((app is not null) = (source = 'uploaded'))
);

create unique index certificates_name_unique on certificates (name);
create index certificates_app on certificates (app);
create index certificates_hostnames on certificates using gin (hostnames);

comment on table certificates is 'Certificates that the router serves: uploaded ones (SNI endpoints), and those that an authority issued.';
comment on column certificates.app is 'Of an uploaded one. Null: it belongs to its names, whichever app has them.';
comment on column certificates.name is 'Of an SNI endpoint, for example `ichthyosaur-33412`.';
comment on column certificates.hostnames is 'Names that it is valid for; `*.example.com` stands for one label.';
comment on column certificates.chain_pem is 'Leaf first.';
comment on column certificates.key is 'Private key as PEM, sealed; bound to the id of this row.';

create table domains (
    id uuid primary key,
    app uuid not null references apps (id) on delete cascade,
    hostname text not null,
    certificate uuid references certificates (id) on delete set null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint domains_hostname_unique unique (hostname)
);

create index domains_app on domains (app);
create index domains_certificate on domains (certificate);

comment on table domains is 'Custom domains; the name that the platform gives each app has no row. Rows go when their app is destroyed.';
comment on column domains.hostname is 'In lower case; `*.example.com` takes one label.';
comment on column domains.certificate is 'The SNI endpoint that was chosen for it. Null: the managed certificate of the name.';

alter table apps add column acm boolean not null default true;

comment on column apps.acm is 'Automated certificate management: names of this app get certificates by themselves.';

create trigger certificates_notify after insert or update or delete on certificates
    for each row execute function notify_wanted();
create trigger domains_notify after insert or update or delete on domains
    for each row execute function notify_wanted();
