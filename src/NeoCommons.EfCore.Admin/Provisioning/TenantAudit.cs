using System.Text.Json;
using Microsoft.EntityFrameworkCore;

namespace NeoCommons.EfCore.Admin;

/// <summary>Writes down what is done to tenants, together with the change itself, and answers from it.</summary>
internal sealed class TenantAudit(ILifecycleActor actor)
{
    public const string Created = "created";
    public const string Begun = "begun";
    public const string Suspended = "suspended";
    public const string Resumed = "resumed";
    public const string Limited = "limited";
    public const string Archived = "archived";
    public const string Restored = "restored";
    public const string Deleting = "deleting";
    public const string Deleted = "deleted";

    // An id can be used again after a deletion: what was before the last of these is another life.
    private static readonly string[] Turns = [Created, Archived, Deleting, Deleted];

    private const string FormerSchema = "formerSchema";
    private const string FormerStatus = "formerStatus";
    private const string Source = "source";
    private const string CopyRows = "copyRows";

    /// <summary>Notes that what was begun is taken back: takes the tenant as $1.</summary>
    public const string UndoneSql = """
        INSERT INTO admin.tenant_events (tenant_id, slug, action, actor)
        SELECT tenant_id, slug, 'undone', actor FROM admin.tenant_events e WHERE action = 'begun'
            AND id = (SELECT max(id) FROM admin.tenant_events WHERE tenant_id = $1)
        """;

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
        var last = await FindLastAsync(context, tenant, Turns, ct).ConfigureAwait(false);
        if (last is not (Archived, var noted))
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
    public static async Task<bool> IsDeletingAsync(AdminDbContext context, Guid tenant, CancellationToken ct) =>
        await FindLastAsync(context, tenant, Turns, ct).ConfigureAwait(false) is (Deleting, _);

    /// <summary>The tenants whose deletion has begun and not ended, and when.</summary>
    public static async Task<IReadOnlyDictionary<Guid, DateTimeOffset>> FindDeletingAsync(
        AdminDbContext context,
        CancellationToken ct
    ) =>
        await context
            .TenantEvents.Where(e =>
                e.Action == Deleting
                && context.Tenants.Any(t => t.Id == e.TenantId)
                && !context.TenantEvents.Any(later =>
                    later.TenantId == e.TenantId && later.Id > e.Id && Turns.Contains(later.Action)
                )
            )
            .ToDictionaryAsync(e => e.TenantId, e => e.At, ct)
            .ConfigureAwait(false);

    /// <summary>Notes what a tenant is made from: whoever finishes an interrupted creation knows nothing else of the order.</summary>
    public void NoteBegun(AdminDbContext context, TenantEntity row, NewTenant order) =>
        Note(
            context,
            row,
            Begun,
            (Source, TenantTransition.Word(order.Source)),
            (CopyRows, order.CopyRows ? "true" : null)
        );

    /// <summary>What a tenant that is being created is made from; from the migrations, where nothing else was noted.</summary>
    public static async Task<(TenantSource Source, bool CopyRows)> ReadSourceAsync(
        AdminDbContext context,
        Guid tenant,
        CancellationToken ct
    )
    {
        var last = await FindLastAsync(context, tenant, null, ct).ConfigureAwait(false);
        if (last is not (Begun, var noted))
        {
            return (TenantSource.Migrations, false);
        }

        using var details = JsonDocument.Parse(noted);
        return (
            Enum.Parse<TenantSource>(details.RootElement.GetProperty(Source).GetString()!, ignoreCase: true),
            details.RootElement.TryGetProperty(CopyRows, out _)
        );
    }

    /// <summary>The schema of a tenant: what the naming makes of the slug, unless another tenant has ever had that.</summary>
    /// <remarks>
    /// A process that has not heard yet, or a context that is open for hours, may still be bound to a tenant by the name
    /// that its schema had. It finds nothing there; it must not find somebody else. What was begun and not finished had no
    /// context yet.
    /// </remarks>
    /// <exception cref="TenantConflictException">The name with the end of the id has been another tenant's too.</exception>
    public static async Task<SchemaName> ChooseSchemaAsync(
        AdminDbContext context,
        SchemaNaming naming,
        string slug,
        Guid tenant,
        CancellationToken ct
    )
    {
        var plain = naming.ForTenant(slug);
        if (!await WasOthersAsync(plain).ConfigureAwait(false))
        {
            return plain;
        }

        var own = naming.ForTenant(slug, "_" + tenant.ToString("N")[^12..]);
        return !await WasOthersAsync(own).ConfigureAwait(false)
            ? own
            : throw new TenantConflictException(
                slug,
                $"Schemas '{plain}' and '{own}' have been other tenants', and a name is never given again. Choose another slug."
            );

        Task<bool> WasOthersAsync(SchemaName schema) =>
            context
                .Database.SqlQuery<bool>(
                    $"""
                    SELECT EXISTS (SELECT FROM admin.tenant_events WHERE tenant_id <> {tenant} AND action <> {Begun}
                        AND (details->>'schema' = {schema.Value} OR details->>'formerSchema' = {schema.Value})) AS "Value"
                    """
                )
                .SingleAsync(ct);
    }

    private static async Task<(string Action, string Details)?> FindLastAsync(
        AdminDbContext context,
        Guid tenant,
        string[]? actions,
        CancellationToken ct
    )
    {
        var last = await context
            .TenantEvents.Where(e => e.TenantId == tenant && (actions == null || actions.Contains(e.Action)))
            .OrderByDescending(e => e.Id)
            .Select(e => new { e.Action, e.Details })
            .FirstOrDefaultAsync(ct)
            .ConfigureAwait(false);
        return last is null ? null : (last.Action, last.Details);
    }
}
