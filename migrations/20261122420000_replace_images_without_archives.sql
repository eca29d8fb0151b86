-- An image of before there were archives has no zstd, and a container of then does not archive: the image is made anew by the recipe of
-- today, and the container is replaced on its volume.
update addons
set image = null, generation = generation + 1
where service = 'heroku-postgresql' and image is not null and state <> 'deprovisioning';
