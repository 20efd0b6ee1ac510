using System.ComponentModel.DataAnnotations;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.EntityFrameworkCore;
using NeoCommons.EfCore;
using NeoCommons.EfCore.Admin;

namespace WebSample.Endpoints;

/// <summary>A tenant to be created.</summary>
/// <param name="Slug">Its name in addresses and headers.</param>
/// <param name="Name">Its name for people.</param>
/// <param name="ConnectionName">The database for it; left out, the shared one with the fewest tenants.</param>
public sealed record CreateTenant(
    [Required] string Slug,
    [Required, StringLength(200), RegularExpression("[^\\0]*")] string Name,
    string? ConnectionName = null
);

/// <summary>A tenant, as callers see it.</summary>
public sealed record TenantSummary(string Slug, string Name, string ConnectionName, TenantStatus Status);

/// <summary>The platform's own endpoints. A real application asks for an operator's login here.</summary>
internal static class TenantEndpoints
{
    public static void MapTenants(this WebApplication app)
    {
        var tenants = app.MapGroup("/tenants").WithTags("Tenants");
        tenants.MapGet("/", List).WithSummary("Lists tenants, by slug");
        tenants.MapGet("/{slug}", FindAsync).WithSummary("Finds a tenant");
        tenants
            .MapPost("/", CreateAsync)
            .WithSummary("Creates a tenant")
            .WithDescription("Its schema and tables are there when this returns; the shop is empty.")
            .ProducesProblem(StatusCodes.Status409Conflict);
    }

    private static IAsyncEnumerable<TenantSummary> List(ITenantStore tenants, CancellationToken ct) =>
        tenants.ListAsync(ct).Select(Summarize);

    private static async Task<Results<Ok<TenantSummary>, NotFound>> FindAsync(
        string slug,
        ITenantStore tenants,
        CancellationToken ct
    ) =>
        await tenants.FindBySlugAsync(slug, ct) is { } tenant
            ? TypedResults.Ok(Summarize(tenant))
            : TypedResults.NotFound();

    private static async Task<Results<Created<TenantSummary>, ValidationProblem>> CreateAsync(
        CreateTenant wanted,
        ITenantProvisioner provisioner,
        AdminDbContext admin,
        CancellationToken ct
    )
    {
        var connection = await admin
            .DatabaseConnections.Where(c => c.IsActive && c.ConnectionType == ConnectionType.Shared)
            .Where(c => wanted.ConnectionName == null || c.ConnectionName == wanted.ConnectionName)
            .OrderBy(c => admin.Tenants.Count(t => t.ConnectionId == c.Id))
            .ThenBy(c => c.ConnectionName)
            .Select(c => c.ConnectionName)
            .FirstOrDefaultAsync(ct);
        if (connection is null)
        {
            return TypedResults.ValidationProblem(
                new Dictionary<string, string[]>
                {
                    ["ConnectionName"] =
                    [
                        wanted.ConnectionName is null
                            ? "No database for new tenants is registered yet."
                            : "There is no such database for new tenants. Leave it out to get one.",
                    ],
                }
            );
        }

        var created = await provisioner.CreateAsync(
            new NewTenant
            {
                Slug = wanted.Slug,
                Name = wanted.Name,
                ConnectionName = connection,
            },
            ct
        );
        return TypedResults.Created($"/tenants/{created.Slug}", Summarize(created));
    }

    private static TenantSummary Summarize(Tenant tenant) =>
        new(tenant.Slug, tenant.Name, tenant.ConnectionName, tenant.Status);
}
