// Light and dark follow the system until somebody chooses; the choice is kept in this browser.
window.dash_clientside = Object.assign({}, window.dash_clientside, {
  offmap: {
    scheme: function (clicks, kept) {
      const system = window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
      let chosen = kept || system;
      if (clicks) chosen = chosen === "dark" ? "light" : "dark";
      document.body.dataset.agThemeMode = chosen;
      return [chosen, clicks ? chosen : kept || null];
    },
    showDays: function (preset) {
      return preset === "custom" ? {} : { display: "none" };
    },
    burger: function (opened, href, navbar) {
      const byLink = window.dash_clientside.callback_context.triggered_id === "url";
      return Object.assign({}, navbar, { collapsed: { mobile: byLink || !opened } });
    },
  },
});
