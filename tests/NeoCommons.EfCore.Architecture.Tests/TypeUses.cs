using Mono.Cecil;
using Mono.Cecil.Cil;

namespace NeoCommons.EfCore.Architecture.Tests;

/// <summary>Every type that a type mentions: in its declaration, its members' signatures, attributes and bodies.</summary>
/// <remarks>What the compiler makes of lambdas and async methods are nested types, so it counts for the outermost one.</remarks>
internal static class TypeUses
{
    public static IEnumerable<TypeReference> Of(TypeDefinition type)
    {
        var uses = new List<TypeReference?> { type.BaseType };
        uses.AddRange(type.Interfaces.Select(i => i.InterfaceType));
        uses.AddRange(Attributes(type));
        uses.AddRange(Constraints(type));
        foreach (var field in type.Fields)
        {
            uses.Add(field.FieldType);
            uses.AddRange(Attributes(field));
        }

        foreach (var property in type.Properties)
        {
            uses.Add(property.PropertyType);
            uses.AddRange(Attributes(property));
        }

        uses.AddRange(type.Events.Select(e => e.EventType));
        uses.AddRange(type.Methods.SelectMany(Of));
        return uses.OfType<TypeReference>().SelectMany(Parts).Concat(type.NestedTypes.SelectMany(Of));
    }

    public static TypeReference Outermost(TypeReference type) =>
        type.DeclaringType is { } outer ? Outermost(outer) : type;

    private static IEnumerable<TypeReference?> Of(MethodDefinition method)
    {
        var uses = new List<TypeReference?> { method.ReturnType };
        uses.AddRange(method.Parameters.Select(p => p.ParameterType));
        uses.AddRange(Attributes(method));
        uses.AddRange(Constraints(method));
        if (method.HasBody)
        {
            uses.AddRange(method.Body.Variables.Select(v => v.VariableType));
            uses.AddRange(method.Body.ExceptionHandlers.Select(h => h.CatchType));
            uses.AddRange(method.Body.Instructions.SelectMany(Of));
        }

        return uses;
    }

    private static IEnumerable<TypeReference?> Of(Instruction instruction)
    {
        switch (instruction.Operand)
        {
            case TypeReference type:
                return [type];
            case FieldReference field:
                return [field.DeclaringType, field.FieldType];
            case MethodReference method:
                var uses = new List<TypeReference?> { method.DeclaringType, method.ReturnType };
                uses.AddRange(method.Parameters.Select(p => p.ParameterType));
                uses.AddRange((method as GenericInstanceMethod)?.GenericArguments ?? []);
                return uses;
            default:
                return [];
        }
    }

    private static IEnumerable<TypeReference?> Attributes(ICustomAttributeProvider provider) =>
        provider.CustomAttributes.SelectMany(a =>
            a.ConstructorArguments.Select(c => c.Value as TypeReference).Append(a.AttributeType)
        );

    private static IEnumerable<TypeReference?> Constraints(IGenericParameterProvider provider) =>
        provider.GenericParameters.SelectMany(p => p.Constraints.Select(c => c.ConstraintType));

    private static IEnumerable<TypeReference> Parts(TypeReference type)
    {
        switch (type)
        {
            case GenericParameter:
                return [];
            case GenericInstanceType generic:
                return generic.GenericArguments.SelectMany(Parts).Append(generic.ElementType);
            case IModifierType modified:
                return Parts(modified.ModifierType).Concat(Parts(modified.ElementType));
            case TypeSpecification specification:
                return Parts(specification.ElementType);
            default:
                return [type];
        }
    }
}
