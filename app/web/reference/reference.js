/** Shows the service's own OpenAPI document; everything it loads comes from this service. */
window.addEventListener("DOMContentLoaded", () => {
  window.SwaggerUIBundle({
    url: new URL("openapi.json", document.baseURI).href,
    dom_id: "#reference",
    deepLinking: true,
    validatorUrl: null,
    displayRequestDuration: true,
    tryItOutEnabled: true,
    defaultModelsExpandDepth: 0,
    syntaxHighlight: { activated: true },
  });
});
