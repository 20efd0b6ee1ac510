using System.Text;

namespace NeoCommons.EfCore;

/// <summary>How schemas are named: <c>admin</c>, <c>shared</c>, <c>tenant_template</c> and <c>tenant_{slug}</c>.</summary>
/// <remarks>
/// Names are made once, when a tenant is created, and then stand in the tenant's row: a later change of these options
/// moves nobody. Validated at start; bound from section <c>NeoCommons:Naming</c>.
/// </remarks>
public sealed class SchemaNaming
{
    private const string SlugPart = "{slug}";

    /// <summary>The schema of the registry; it is fixed, since operators and other programs write to it.</summary>
    public const string AdminSchema = "admin";

    /// <summary>The schema of data that all tenants share. <value>Default: <c>shared</c>.</value></summary>
    public string Shared { get; set; } = "shared";

    /// <summary>The schema that new tenants can be copied from. <value>Default: <c>tenant_template</c>.</value></summary>
    public string Template { get; set; } = "tenant_template";

    /// <summary>The pattern of a tenant's schema; holds <c>{slug}</c> once. <value>Default: <c>tenant_{slug}</c>.</value></summary>
    public string Tenant { get; set; } = "tenant_" + SlugPart;

    /// <summary>The schema of a kind.</summary>
    /// <param name="kind">Which schema.</param>
    /// <param name="slug">The tenant's slug: needed for <see cref="SchemaKind.Tenant"/>, refused for the others.</param>
    /// <exception cref="InvalidSchemaNameException">
    /// The slug or the name made of it is not valid, or it is the name of another kind: slug <c>template</c> would make
    /// <c>tenant_template</c>.
    /// </exception>
    /// <exception cref="ArgumentException">A slug is missing, or given where it has no meaning.</exception>
    public SchemaName Resolve(SchemaKind kind, string? slug = null)
    {
        if (slug is null == (kind == SchemaKind.Tenant))
        {
            throw new ArgumentException(
                $"A slug goes with {nameof(SchemaKind.Tenant)}, and only with it.",
                nameof(slug)
            );
        }

        return kind switch
        {
            SchemaKind.Admin => SchemaName.Parse(AdminSchema),
            SchemaKind.Shared => SchemaName.Parse(Shared),
            SchemaKind.Template => SchemaName.Parse(Template),
            SchemaKind.Tenant => ForTenant(slug!),
            _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "Not a kind of schema."),
        };
    }

    /// <summary>The schema of a tenant.</summary>
    /// <exception cref="InvalidSchemaNameException">As in <see cref="Resolve"/>.</exception>
    public SchemaName ForTenant(string slug)
    {
        TenantSlug.ThrowIfInvalid(slug);
        var schema = SchemaName.Parse(Tenant.Replace(SlugPart, slug, StringComparison.Ordinal));
        return IsReserved(schema)
            ? throw new InvalidSchemaNameException(
                slug,
                $"its schema would be '{schema}', which is not a tenant's; choose another slug"
            )
            : schema;
    }

    /// <summary>The schema of a tenant that cannot have the plain one: the slug is cut where the ending needs its room.</summary>
    internal SchemaName ForTenant(string slug, string ending)
    {
        TenantSlug.ThrowIfInvalid(slug);
        var room = SchemaName.MaxBytes - Encoding.UTF8.GetByteCount(Tenant) + SlugPart.Length - ending.Length;
        var part = slug[..Math.Min(slug.Length, room)] + ending;
        return SchemaName.Parse(Tenant.Replace(SlugPart, part, StringComparison.Ordinal));
    }

    /// <summary>Whether the schema is one of the kinds that never belong to one tenant.</summary>
    public bool IsReserved(SchemaName schema)
    {
        ArgumentNullException.ThrowIfNull(schema);
        return schema.Value is AdminSchema || schema.Value == Shared || schema.Value == Template;
    }

    /// <summary>Whether the name is one that the pattern makes of a slug; never, where the pattern is nothing but the slug.</summary>
    internal bool IsOfTenant(string schema)
    {
        var at = Tenant.IndexOf(SlugPart, StringComparison.Ordinal);
        var (before, after) = (Tenant[..at], Tenant[(at + SlugPart.Length)..]);
        return before.Length + after.Length > 0
            && schema.Length > before.Length + after.Length
            && schema.StartsWith(before, StringComparison.Ordinal)
            && schema.EndsWith(after, StringComparison.Ordinal)
            && TenantSlug.IsValid(schema[before.Length..^after.Length])
            && schema is not AdminSchema
            && schema != Shared
            && schema != Template;
    }

    internal IEnumerable<string> FindFaults()
    {
        foreach (var (name, value) in new[] { (nameof(Shared), Shared), (nameof(Template), Template) })
        {
            if (!SchemaName.TryParse(value, out _) || value == AdminSchema)
            {
                yield return $"NeoCommons:Naming:{name} is '{value}', which is not a valid name for it.";
            }
        }

        if (Shared == Template)
        {
            yield return $"NeoCommons:Naming: Shared and Template are both '{Shared}'; they must differ.";
        }

        // A section with an explicit null binds as null.
        if (
            Tenant?.Split(SlugPart).Length != 2
            || !SchemaName.TryParse(Tenant.Replace(SlugPart, "ab", StringComparison.Ordinal), out _)
        )
        {
            yield return $"NeoCommons:Naming:Tenant is '{Tenant}'; it must hold '{SlugPart}' once and make a valid schema name, for example 'tenant_{SlugPart}'.";
        }
        else if (!SchemaName.TryParse(Tenant.Replace(SlugPart, new string('a', 40), StringComparison.Ordinal), out _))
        {
            yield return $"NeoCommons:Naming:Tenant is '{Tenant}', which leaves no room for a slug of 40 characters in {SchemaName.MaxBytes} bytes; shorten it.";
        }
    }
}
