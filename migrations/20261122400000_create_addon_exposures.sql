create table addon_exposures (
    id uuid primary key,
    addon uuid not null references addons (id) on delete cascade,
    port integer not null,
    allowed text[] not null,
    expires_at timestamptz not null,
    created_by uuid not null references accounts (id),
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint addon_exposures_addon_unique unique (addon),
    constraint addon_exposures_port_unique unique (port),
    constraint addon_exposures_somebody check (cardinality(allowed) > 0)
);

comment on table addon_exposures is 'Add-ons that addresses outside the platform may come to, by a port of the router.';
comment on column addon_exposures.port is 'Of the range that the operator set when it was given; where that range is another by now, nobody listens.';
comment on column addon_exposures.allowed is 'Networks, as 203.0.113.0/24. All others are refused.';
comment on column addon_exposures.expires_at is 'From then on nobody may come, and whoever is there has to go.';
