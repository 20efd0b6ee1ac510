using System.Runtime.CompilerServices;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Metadata;

namespace NeoCommons.EfCore;

/// <summary>Refuses a model of shared tables that names a schema that is not shared, a tenant's for one. Once per model.</summary>
internal static class SharedModel
{
    private static readonly ConditionalWeakTable<IModel, object> Passed = [];

    /// <exception cref="InvalidOperationException">The model names a schema that is not shared.</exception>
    public static void ThrowIfUnfit(DbContext context)
    {
        var model = context.Model;
        if (Passed.TryGetValue(model, out _))
        {
            return;
        }

        var options = context.GetService<IDbContextOptions>().FindExtension<SharedOptionsExtension>()!;
        foreach (var (what, schema) in TenantModel.Names(model))
        {
            if (schema != options.Schema.Value && (schema is null || !options.Others.Contains(schema)))
            {
                throw new InvalidOperationException(
                    $"{what} of {context.GetType().Name} is mapped to schema '{schema ?? "(none)"}', and a context of shared tables "
                        + $"has them in '{options.Schema}'. Leave the schema out, or add it to "
                        + "NeoCommons:Connections:SharedSchemas if all tenants share it."
                );
            }
        }

        Passed.AddOrUpdate(model, options);
    }
}
