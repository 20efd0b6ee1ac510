using System.Text.Json;
using Microsoft.EntityFrameworkCore;

namespace NeoCommons.EfCore.Admin;

/// <summary>Writes down what is done to tenants, together with the change itself, and answers from it.</summary>
internal sealed class TenantAudit(ILifecycleActor actor)
{
    public const string Archived = "archived";
    public const string Deleting = "deleting";

    private const string FormerSchema = "formerSchema";
    private const string FormerStatus = "formerStatus";

    public string Actor => actor.Name is { Length: > 0 } name ? name : "unknown";

    /// <summary>Notes a change; it is written when the context is saved.</summary>
    /// <param name="context">The context that changes the tenant's row.</param>
    /// <param name="row">The tenant as it is after the change.</param>
    /// <param name="action">What is done.</param>
    /// <param name="details">What else there is to know; what is null is left out.</param>
    public void Note(
        AdminDbContext context,
        TenantEntity row,
        string action,
        params ReadOnlySpan<(string Name, string? Value)> details
    )
    {
        var known = new Dictionary<string, string>
        {
            ["schema"] = row.SchemaName,
            ["connection"] = row.Connection!.ConnectionName,
        };
        foreach (var (name, value) in details)
        {
            if (value is not null)
            {
                known[name] = value;
            }
        }

        context.TenantEvents.Add(
            new TenantEventEntity
            {
                TenantId = row.Id,
                Slug = row.Slug,
                Action = action,
                Actor = Actor,
                Details = JsonSerializer.Serialize(known),
            }
        );
    }

    public static (string, string?) Was(string? schema, string? now) => (FormerSchema, schema == now ? null : schema);

    public static (string, string?) Was(TenantStatus status) => (FormerStatus, TenantTransition.Word(status));

    /// <summary>How the tenant stood when it was archived last, where that was noted.</summary>
    public static async Task<(string? Schema, TenantStatus Status)> ReadArchivalAsync(
        AdminDbContext context,
        Guid tenant,
        CancellationToken ct
    )
    {
        var noted = await context
            .TenantEvents.Where(e => e.TenantId == tenant && e.Action == Archived)
            .OrderByDescending(e => e.Id)
            .Select(e => e.Details)
            .FirstOrDefaultAsync(ct)
            .ConfigureAwait(false);
        if (noted is null)
        {
            return (null, TenantStatus.Active);
        }

        using var details = JsonDocument.Parse(noted);
        var schema = details.RootElement.TryGetProperty(FormerSchema, out var name) ? name.GetString() : null;
        var wasSuspended =
            details.RootElement.TryGetProperty(FormerStatus, out var status)
            && status.GetString() == TenantTransition.Word(TenantStatus.Suspended);
        return (schema, wasSuspended ? TenantStatus.Suspended : TenantStatus.Active);
    }

    /// <summary>Whether the deletion of the tenant has begun, so that what is left of it is of no use.</summary>
    public static Task<bool> IsDeletingAsync(AdminDbContext context, Guid tenant, CancellationToken ct) =>
        context.TenantEvents.AnyAsync(e => e.TenantId == tenant && e.Action == Deleting, ct);

    /// <summary>The schema of a tenant: what the naming makes of the slug, unless another tenant has ever had that.</summary>
    /// <remarks>
    /// A process that has not heard yet, or a context that is open for hours, may still be bound to a tenant by the name
    /// that its schema had. It finds nothing there; it must not find somebody else.
    /// </remarks>
    public static async Task<SchemaName> ChooseSchemaAsync(
        AdminDbContext context,
        SchemaNaming naming,
        string slug,
        Guid tenant,
        CancellationToken ct
    )
    {
        var schema = naming.ForTenant(slug);
        var isUsed = await context
            .Database.SqlQuery<bool>(
                $"""
                SELECT EXISTS (SELECT FROM admin.tenant_events WHERE tenant_id <> {tenant}
                    AND {schema.Value} IN (details->>'schema', details->>'formerSchema')) AS "Value"
                """
            )
            .SingleAsync(ct)
            .ConfigureAwait(false);
        return isUsed ? naming.ForTenant(slug, "_" + tenant.ToString("N")[^12..]) : schema;
    }
}
