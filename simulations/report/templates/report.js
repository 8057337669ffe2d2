// The language: from the address (#lang=zh), else from the browser. Everything else works without this script.
(() => {
  const state = () => new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : { at: location.hash.slice(1) });
  const language = () => (document.getElementById("zh").checked ? "zh" : "en");
  const remember = (at) => {
    const hash = new URLSearchParams({ lang: language(), ...(at ? { at } : {}) });
    try { history.replaceState(null, "", "#" + hash); } catch { /* a viewer that lets nothing be remembered */ }
  };
  const apply = () => {
    const now = language(), title = document.querySelector("title");
    document.documentElement.lang = now === "zh" ? "zh-CN" : "en";
    document.title = title.dataset[now];
  };
  const go = (at) => { if (at) document.getElementById(at)?.scrollIntoView(); };
  const wished = state().get("lang") ?? (navigator.languages ?? [navigator.language]).find((l) => /^(zh|en)/i.test(l)) ?? "en";
  document.getElementById(wished.toLowerCase().startsWith("zh") ? "zh" : "en").checked = true;
  apply();
  go(state().get("at"));
  for (const radio of document.querySelectorAll("input[name=language]")) radio.addEventListener("change", () => { apply(); remember(state().get("at")); });
  addEventListener("hashchange", () => {
    const found = state(), at = found.get("at"), named = found.get("lang");
    if (named) { document.getElementById(named === "zh" ? "zh" : "en").checked = true; apply(); go(at); } else remember(at);
  });
})();
