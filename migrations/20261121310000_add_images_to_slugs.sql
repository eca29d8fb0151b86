alter table slugs add column images jsonb not null default '{}';
alter table slugs add constraint slugs_images_object check (jsonb_typeof(images) = 'object');

comment on column slugs.images is 'Process type to image, of those that do not run `image`. Every type of a slug that is made of images has one.';

alter table apps add column build_stack text;

comment on column apps.stack is 'What its current slug was built for.';
comment on column apps.build_stack is 'What its next slug is built for. Null: the same.';
