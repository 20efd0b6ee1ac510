using System.Runtime.CompilerServices;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata;
using Npgsql.EntityFrameworkCore.PostgreSQL.Metadata;

namespace NeoCommons.EfCore;

/// <summary>
/// Refuses a model that is another tenant's, that names another schema than the tenant's, since every tenant would read and
/// write the same tables, or that makes tenants share in another way.
/// </summary>
/// <remarks>
/// Looks at the finished model, whichever way it was made: by <c>OnModelCreating</c>, by conventions of the application,
/// or beforehand. Once per model.
/// </remarks>
internal static class TenantModel
{
    private static readonly ConditionalWeakTable<IModel, Pass> Passed = [];
    private static readonly Lock Looking = new();

    /// <summary>Looks at the model of a context, and tells how many tables and views it has, one at least.</summary>
    /// <param name="context">The context.</param>
    /// <param name="settings">What the context's own options say.</param>
    /// <param name="tenant">The tenant that it is to serve.</param>
    /// <exception cref="InvalidOperationException">The model does not suit the options of the context.</exception>
    /// <exception cref="TenantIsolationException">The model was built for another tenant.</exception>
    public static int CountTables(DbContext context, TenantContextSettings settings, Tenant tenant)
    {
        var model = context.Model;
        if (!Passed.TryGetValue(model, out var pass) || !pass.Settings.Equals(settings))
        {
            // One at a time: EF makes the relational model when it is first asked for, and of several that ask at the same moment
            // one may get none ("must be finalized").
            lock (Looking)
            {
                var own = settings.HasModelPerSchema ? FindOwner(context, model) : null;
                ThrowIfUnfit(context, model, settings, own);
                var relational = model.GetRelationalModel();
                pass = new Pass(settings, own, Math.Max(1, relational.Tables.Count() + relational.Views.Count()));
                Passed.AddOrUpdate(model, pass);
            }
        }

        // A constructor may have passed on other options than those that it got.
        if (pass.Owner is { } owner && owner != tenant)
        {
            throw new TenantIsolationException(
                $"The model of this {context.GetType().Name} was built for tenant '{owner.Slug}', and it is to serve tenant "
                    + $"'{tenant.Slug}'. The constructor must pass the options that it gets on to DbContext.",
                tenant.Id,
                owner.Id
            );
        }

        return pass.Tables;
    }

    private static Tenant FindOwner(DbContext context, IModel model) =>
        TenantModelSource.OwnerOf(model)
        ?? throw new InvalidOperationException(
            $"The model of {context.GetType().Name} was not built for a tenant, but beforehand (UseModel, or a compiled model in its "
                + "assembly) or for all, and ModelPerSchema() gives each tenant its own: leave one of them out."
        );

    private static void ThrowIfUnfit(DbContext context, IModel model, TenantContextSettings settings, Tenant? owner)
    {
        var own = settings.Binding == SchemaBinding.QualifiedNames ? SchemaName.Placeholder : null;
        var allowed = settings.SharedSchemas;
        foreach (var (what, schema) in Names(model))
        {
            if (schema != own && schema is null or SchemaName.Placeholder)
            {
                throw new InvalidOperationException(
                    $"{what} of {context.GetType().Name} is mapped "
                        + (schema is null ? "without a schema" : $"to \"{schema}\"")
                        + $", which does not suit the binding {settings.Binding}. A compiled model serves the binding that it "
                        + "was made for: make it again with 'dotnet ef dbcontext optimize'."
                );
            }

            if (schema != own && schema != owner?.Schema.Value && !allowed.Contains(schema))
            {
                throw new InvalidOperationException(
                    $"{what} of {context.GetType().Name} is mapped to schema '{schema}', "
                        + (
                            owner is null
                                ? "so all tenants would share it"
                                : $"in the model of tenant '{owner.Slug}', whose schema is '{owner.Schema}'"
                        )
                        + ". Leave the schema out (HasDefaultSchema too), so that it lies in each tenant's own; or, if sharing is "
                        + "meant, add the schema to NeoCommons:Connections:SharedSchemas"
                        + (allowed.Count == 0 ? "." : $" (now: {string.Join(", ", allowed)}).")
                        + (owner is null ? " Where the model must differ by tenant, see ModelPerSchema()." : "")
                );
            }
        }

        foreach (var property in model.GetEntityTypes().SelectMany(type => type.GetDeclaredProperties()))
        {
            if (property.GetValueGenerationStrategy() == NpgsqlValueGenerationStrategy.SequenceHiLo)
            {
                throw new InvalidOperationException(
                    $"{property.DeclaringType.DisplayName()}.{property.Name} of {context.GetType().Name} takes its values by "
                        + "HiLo, and EF keeps one block of them for all tenants of a process: their keys would collide. Let the "
                        + "database make them: UseIdentityByDefaultColumn(), or UseSequence() for one sequence of each tenant."
                );
            }
        }
    }

    /// <summary>Everything in the database that a model names, with its schema.</summary>
    public static IEnumerable<(string What, string? Schema)> Names(IModel model)
    {
        var relational = model.GetRelationalModel();
        return relational
            .Tables.Select(t => ($"Table '{t.Name}'", t.Schema))
            .Concat(relational.Views.Select(v => ($"View '{v.Name}'", v.Schema)))
            .Concat(relational.Sequences.Select(s => ($"Sequence '{s.Name}'", s.Schema)))
            .Concat(relational.StoredProcedures.Select(p => ($"Procedure '{p.Name}'", p.Schema)))
            .Concat(relational.Functions.Where(f => !f.IsBuiltIn).Select(f => ($"Function '{f.Name}'", f.Schema)));
    }

    /// <summary>What was found of a model: with these settings it is fit for its owner, or without one for all.</summary>
    private sealed record Pass(TenantContextSettings Settings, Tenant? Owner, int Tables);
}
