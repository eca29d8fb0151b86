const pages = [
  [/^\/$/, () => "Hello from a single page"],
  [/^\/users\/(\d+)$/, (id) => `User ${id}`],
];

function show() {
  const found = pages.map(([path, page]) => [location.pathname.match(path), page]).find(([match]) => match);
  document.querySelector("main").textContent = found ? found[1](...found[0].slice(1)) : "There is no such page";
}

document.querySelector("nav").addEventListener("click", (event) => {
  event.preventDefault();
  history.pushState({}, "", event.target.href);
  show();
});
addEventListener("popstate", show);
show();
