import collections from "@metalsmith/collections";
import layouts from "@metalsmith/layouts";
import markdown from "@metalsmith/markdown";
import permalinks from "@metalsmith/permalinks";
import Metalsmith from "metalsmith";

await Metalsmith(import.meta.dirname)
  .source("src")
  .destination("_site")
  .use(collections({ posts: { pattern: "posts/*.md", sortBy: "title" } }))
  .use(markdown())
  .use(permalinks())
  .use(layouts({ default: "page.njk", pattern: "**/*.html" }))
  .build();
