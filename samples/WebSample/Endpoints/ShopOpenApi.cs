using System.Text.Json.Serialization;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.OpenApi;
using Scalar.AspNetCore;

namespace WebSample.Endpoints;

/// <summary>The OpenAPI document: endpoints of a tenant show the header that names it.</summary>
internal static class ShopOpenApi
{
    public static void AddShopOpenApi(this IServiceCollection services)
    {
        services.ConfigureHttpJsonOptions(json =>
        {
            json.SerializerOptions.Converters.Add(new JsonStringEnumConverter());
            json.SerializerOptions.NumberHandling = JsonNumberHandling.Strict;
            json.SerializerOptions.UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow; // a misspelled one, too
        });
        services.AddOpenApi(options =>
        {
            options.AddDocumentTransformer(
                (document, _, _) =>
                {
                    document.Info.Title = "Shop";
                    document.Info.Description =
                        "A shop for many tenants, each with a PostgreSQL schema of its own. Name the tenant in header "
                        + "`X-Tenant` or as a subdomain: `acme`, `globex` and `initech` are there from the start.";
                    return Task.CompletedTask;
                }
            );
            options.AddOperationTransformer(AddTenantHeaderAsync);
        });
    }

    /// <summary>The document at /openapi/v1.json, and a page to read and try it at /scalar that asks no other server.</summary>
    public static void MapShopOpenApi(this WebApplication app)
    {
        app.MapOpenApi();
        app.MapScalarApiReference(page =>
            page.WithTitle("Shop")
                .DisableDefaultFonts()
                .DisableTelemetry()
                .DisableAgent()
                .DisableMcp()
                .HideDeveloperTools()
                .HideClientButton()
        );
        app.MapGet("/", () => Results.Redirect("/scalar")).ExcludeFromDescription();
    }

    /// <summary>Marks the endpoints of a group as those of one tenant.</summary>
    public static RouteGroupBuilder OfTenant(this RouteGroupBuilder group, string tag) =>
        group
            .WithTags(tag)
            .WithMetadata(new OfOneTenant())
            .ProducesProblem(StatusCodes.Status400BadRequest)
            .ProducesProblem(StatusCodes.Status404NotFound)
            .ProducesProblem(StatusCodes.Status503ServiceUnavailable);

    private static Task AddTenantHeaderAsync(
        OpenApiOperation operation,
        OpenApiOperationTransformerContext context,
        CancellationToken ct
    )
    {
        if (context.Description.ActionDescriptor.EndpointMetadata.OfType<OfOneTenant>().Any())
        {
            operation.Parameters ??= [];
            operation.Parameters.Insert(
                0,
                new OpenApiParameter
                {
                    Name = "X-Tenant",
                    In = ParameterLocation.Header,
                    Description = "The tenant, where the host name does not name it.",
                    Schema = new OpenApiSchema { Type = JsonSchemaType.String },
                    Example = "acme",
                }
            );
        }

        return Task.CompletedTask;
    }

    private sealed class OfOneTenant;
}
