// Refreshes the page while somebody looks at it, and says each time in the reader's own time zone as well.
(function () {
  "use strict";
  var main = document.querySelector("main");
  var every = Number(document.body.dataset.refresh || 0) * 1000;
  var said = document.getElementById("said");
  var before = "";
  var zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

  function times() {
    document.querySelectorAll("time[datetime]").forEach(function (time) {
      var at = new Date(time.dateTime);
      time.title = at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" }) + " " + zone;
    });
    var own = document.getElementById("zone");
    if (own) own.textContent = "Point at one to see it in your zone, " + zone + ".";
  }

  function isBusy() {
    var at = document.activeElement;
    return document.hidden || (at && /^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName)) || String(window.getSelection());
  }

  function put(html) {
    var next = new DOMParser().parseFromString(html, "text/html");
    var fresh = next.querySelector("main");
    if (!fresh) return;
    document.getElementById("as-of").replaceWith(next.getElementById("as-of"));
    times();
    if (fresh.innerHTML === before) return;
    var open = Array.prototype.map.call(main.querySelectorAll("details[open][id]"), function (d) { return d.id; });
    var focused = document.activeElement && document.activeElement.id;
    before = fresh.innerHTML;
    var places = Array.prototype.map.call(main.querySelectorAll(".wide"), function (box) { return box.scrollLeft; });
    main.innerHTML = fresh.innerHTML;
    main.querySelectorAll(".wide").forEach(function (box, i) { if (places[i]) box.scrollLeft = places[i]; });
    open.forEach(function (id) { var d = document.getElementById(id); if (d) d.open = true; });
    if (focused && document.getElementById(focused)) document.getElementById(focused).focus({ preventScroll: true });
    document.title = next.title;
    var state = main.querySelector("[data-say]");
    if (state && said.textContent !== state.dataset.say) said.textContent = state.dataset.say;
    times();
  }

  function look() {
    if (isBusy()) return;
    fetch(location.href, { headers: { Accept: "text/html" }, redirect: "error" })
      .then(function (answer) {
        document.body.classList.toggle("stale", !answer.ok);
        return answer.ok ? answer.text() : null;
      })
      .then(function (html) { if (html) put(html); })
      .catch(function () { document.body.classList.add("stale"); });
  }

  times();
  if (main && every) setInterval(look, every);
})();
